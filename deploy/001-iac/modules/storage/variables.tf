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

variable "private_endpoints" {
  description = "Whether the network reaches it through a private endpoint."
  type        = bool
}

variable "public_network_access" {
  description = "Whether it has a public address at all; allowed_ip_ranges says who may use it."
  type        = bool
}

variable "allowed_ip_ranges" {
  description = "Public ranges that may reach the account when it has a public address."
  type        = list(string)
}

variable "nodes_subnet_id" {
  description = "Subnet of the cluster's nodes."
  type        = string
}

variable "containers" {
  description = "Blob containers to make."
  type        = list(string)
}

variable "replication_type" {
  description = "Redundancy: LRS, ZRS, GRS or GZRS."
  type        = string
  default     = "ZRS"
}
