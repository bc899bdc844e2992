output "cluster" {
  description = "The cluster."
  value = {
    id              = azurerm_kubernetes_cluster.this.id
    name            = azurerm_kubernetes_cluster.this.name
    oidc_issuer_url = azurerm_kubernetes_cluster.this.oidc_issuer_url
  }
}

output "gpu_pools" {
  description = "GPU pools: what a scheduler must select and tolerate."
  value = {
    for name, pool in azurerm_kubernetes_cluster_node_pool.gpu : name => {
      vm_size   = pool.vm_size
      spot      = pool.priority == "Spot"
      max_count = pool.max_count
      labels    = pool.node_labels
      taints    = pool.node_taints
      gpus      = var.gpu_pools[name].gpus
    }
  }
}
