variable "names" {
  description = "Names from the naming module."
  type        = map(string)
}

variable "resource_group_name" {
  description = "Resource group."
  type        = string
}

variable "location" {
  description = "Region."
  type        = string
}

variable "tags" {
  description = "Tags."
  type        = map(string)
}

variable "daily_quota_gb" {
  description = "Ingestion per day after which logs are dropped [GB]; the most common surprise on a bill."
  type        = number
  default     = 5
}
