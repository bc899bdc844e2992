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

variable "address_space" {
  description = "Range of the virtual network."
  type        = string
}

variable "private_endpoints" {
  description = "Whether to make private DNS zones for private endpoints."
  type        = bool
}

variable "tags" {
  description = "Tags."
  type        = map(string)
}
