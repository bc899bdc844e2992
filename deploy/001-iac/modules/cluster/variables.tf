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

variable "kubernetes_version" {
  description = "Kubernetes release; null takes the region's default."
  type        = string
}

variable "subnet_id" {
  description = "Subnet of the nodes."
  type        = string
}

variable "virtual_network_id" {
  description = "Network that the cluster may place load balancers in."
  type        = string
}

variable "egress_address" {
  description = "Address of the NAT gateway: nodes reach the API server from it."
  type        = string
}

variable "allowed_ip_ranges" {
  description = "Public ranges that may reach the API server."
  type        = list(string)
}

variable "system_pool" {
  description = "The system pool."
  type = object({
    vm_size   = string
    min_count = number
    max_count = number
    zones     = list(string)
  })
}

variable "gpu_pools" {
  description = "GPU pools by name."
  type = map(object({
    vm_size   = string
    spot      = bool
    max_count = number
    zones     = list(string)
    gpus      = number
  }))
}

variable "cluster_identity" {
  description = "Identity of the control plane."
  type        = object({ id = string, principal_id = string })
}

variable "kubelet_identity" {
  description = "Identity of the nodes."
  type        = object({ id = string, client_id = string, principal_id = string })
}

variable "log_analytics_id" {
  description = "Where container logs go."
  type        = string
}

variable "workspace" {
  description = "Azure ML workspace that the cluster is attached to."
  type        = object({ id = string, name = string })
}

variable "workspace_identity" {
  description = "Identity of the workspace, which installs and runs jobs in the cluster."
  type        = object({ id = string, principal_id = string })
}

variable "service_accounts" {
  description = "Service accounts that act as an identity, by a name for the credential."
  type        = map(object({ namespace = string, name = string, identity_id = string }))
}

variable "admin_principal_ids" {
  description = "Entra ID objects of the people and pipelines that set this up, by a name of yours."
  type        = map(string)
}
