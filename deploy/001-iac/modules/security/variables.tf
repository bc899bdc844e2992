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
  description = "Whether vault and registry are reached only through private endpoints."
  type        = bool
}

variable "allowed_ip_ranges" {
  description = "Public ranges that may reach them when they have a public address."
  type        = list(string)
}

variable "nodes_subnet_id" {
  description = "Subnet of the cluster's nodes."
  type        = string
}

variable "kubelet_principal_id" {
  description = "Identity that pulls images onto nodes."
  type        = string
}
