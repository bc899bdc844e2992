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

variable "workload_identity" {
  description = "Identity of training jobs."
  type        = object({ id = string, principal_id = string })
}

variable "resource_group_id" {
  description = "Resource group, by its id."
  type        = string
}

variable "subnet_id" {
  description = "Subnet of the compute clusters' nodes."
  type        = string
}

variable "compute_clusters" {
  description = "Compute clusters by name; none where the compute is Kubernetes."
  type        = map(object({ vm_size = string, spot = bool, max_count = number }))
}

variable "image_build" {
  description = "Whether environments are built on a compute of the workspace."
  type        = bool
}

variable "user_principal_ids" {
  description = "Entra ID objects of the people and groups that train, by a name of yours."
  type        = map(string)
}

variable "budget" {
  description = "Planned cost of the resource group in a month, or null."
  type        = object({ amount = number, start_date = string, contact_emails = list(string) })
}
