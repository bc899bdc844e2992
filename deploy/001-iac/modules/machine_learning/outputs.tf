output "workspace" {
  description = "The workspace."
  value = {
    id   = azapi_resource.workspace.id
    name = azapi_resource.workspace.name
  }
}

output "compute_clusters" {
  description = "Compute clusters of Azure ML's own, by name."
  value = {
    for name, cluster in azurerm_machine_learning_compute_cluster.gpu : name => {
      name      = cluster.name
      vm_size   = cluster.vm_size
      spot      = cluster.vm_priority == "LowPriority"
      max_count = var.compute_clusters[name].max_count
    }
  }
}
