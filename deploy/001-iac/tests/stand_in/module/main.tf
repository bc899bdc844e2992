variable "says" {
  description = "What the module's outputs are."
  type        = any
}

output "identities" { value = try(var.says.identities, null) }
output "workspace" { value = try(var.says.workspace, null) }
output "compute_clusters" { value = try(var.says.compute_clusters, null) }
output "account" { value = try(var.says.account, null) }
output "containers" { value = try(var.says.containers, null) }
output "key_vault" { value = try(var.says.key_vault, null) }
output "container_registry" { value = try(var.says.container_registry, null) }
output "cluster" { value = try(var.says.cluster, null) }
output "gpu_pools" { value = try(var.says.gpu_pools, null) }
output "postgresql" { value = try(var.says.postgresql, null) }
output "redis" { value = try(var.says.redis, null) }
