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

variable "admin_principal_ids" {
  description = "Entra ID objects of the people and pipelines that set this up, by a name of yours."
  type        = map(string)
}
