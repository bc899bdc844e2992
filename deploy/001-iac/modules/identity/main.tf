# Managed identities, one a purpose: nobody holds a password, and each role assignment says whom it is for.

resource "azurerm_user_assigned_identity" "this" {
  for_each = {
    cluster   = var.names.cluster_identity
    kubelet   = var.names.kubelet_identity
    workspace = var.names.workspace_identity
    workload  = var.names.workload_identity
    osmo      = var.names.osmo_identity
  }
  name                = each.value
  resource_group_name = var.resource_group_name
  location            = var.location
  tags                = var.tags
}
