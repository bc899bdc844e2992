# The shape that gaitway reads: `gaitway config` fills its Azure settings from these, 002-setup the rest.

locals {
  clusters_made = module.machine_learning.compute_clusters
}

output "subscription_id" {
  description = "Azure subscription."
  value       = var.subscription_id
}

output "resource_group" {
  description = "Resource group."
  value       = local.resource_group
}

output "azureml_workspace" {
  description = "Azure ML workspace."
  value       = module.machine_learning.workspace
}

output "storage_account" {
  description = "Storage account."
  value       = module.storage.account
}

output "storage_containers" {
  description = "Blob containers."
  value       = module.storage.containers
}

output "aks_cluster" {
  description = "Kubernetes cluster, or null."
  value       = one(module.cluster[*].cluster)
}

output "gpu_pools" {
  description = "GPU node pools of the Kubernetes cluster, or null."
  value       = one(module.cluster[*].gpu_pools)
}

output "compute_clusters" {
  description = "Compute clusters of Azure ML's own, by name; empty where the compute is Kubernetes."
  value       = module.machine_learning.compute_clusters
}

output "default_compute" {
  description = "Compute cluster that jobs go to by default, or null: the first spot one, else the first."
  value       = one(slice(concat([for name in keys(local.clusters_made) : name if local.clusters_made[name].spot], keys(local.clusters_made), [null]), 0, 1))
}

output "key_vault" {
  description = "Key vault."
  value       = module.security.key_vault
}

output "container_registry" {
  description = "Container registry."
  value       = module.security.container_registry
}

output "ml_workload_identity" {
  description = "Identity of training jobs."
  value       = module.identity.identities.workload
}

output "osmo_workload_identity" {
  description = "Identity of OSMO's control plane."
  value       = module.identity.identities.osmo
}

output "postgresql_connection_info" {
  description = "OSMO's database, or null."
  value       = one(module.osmo_data[*].postgresql)
}

output "managed_redis_connection_info" {
  description = "OSMO's Redis, or null."
  value       = one(module.osmo_data[*].redis)
}

output "osmo_namespaces" {
  description = "Kubernetes namespaces that the federated credentials name."
  value       = var.osmo.namespaces
}
