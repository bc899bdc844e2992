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

variable "public_network_access" {
  description = "Whether the workspace is reached from outside the network too, by whoever Entra ID lets in."
  type        = bool
}

variable "storage_account_id" {
  description = "Storage account of the workspace."
  type        = string
}

variable "key_vault_id" {
  description = "Key vault of the workspace."
  type        = string
}

variable "container_registry_id" {
  description = "Registry of the workspace."
  type        = string
}

variable "application_insights_id" {
  description = "Application Insights of the workspace."
  type        = string
}

variable "workspace_identity" {
  description = "Identity of the workspace itself."
  type        = object({ id = string, principal_id = string })
}

variable "workload_principal_id" {
  description = "Identity of training jobs."
  type        = string
}
