# The Azure ML workspace. Its compute is the cluster, attached in 002-setup.

resource "azurerm_role_assignment" "workspace" {
  for_each = {
    storage  = { scope = var.storage_account_id, role = "Storage Blob Data Contributor" }
    vault    = { scope = var.key_vault_id, role = "Key Vault Administrator" }
    registry = { scope = var.container_registry_id, role = "AcrPush" }
    insights = { scope = var.application_insights_id, role = "Contributor" }
    account  = { scope = var.storage_account_id, role = "Contributor" }
    vaultarm = { scope = var.key_vault_id, role = "Contributor" }
    acrarm   = { scope = var.container_registry_id, role = "Contributor" }
  }
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = var.workspace_identity.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_machine_learning_workspace" "this" {
  name                           = var.names.workspace
  resource_group_name            = var.resource_group_name
  location                       = var.location
  application_insights_id        = var.application_insights_id
  key_vault_id                   = var.key_vault_id
  storage_account_id             = var.storage_account_id
  container_registry_id          = var.container_registry_id
  primary_user_assigned_identity = var.workspace_identity.id
  public_network_access_enabled  = !var.private_endpoints
  v1_legacy_mode_enabled         = false
  sku_name                       = "Basic"
  tags                           = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.workspace_identity.id]
  }

  # The workspace is refused while its identity cannot reach what it is made of.
  depends_on = [azurerm_role_assignment.workspace]
}

# What a training job may do: read and write runs and models, and the files behind them.
resource "azurerm_role_assignment" "workload" {
  for_each = {
    workspace = { scope = azurerm_machine_learning_workspace.this.id, role = "AzureML Data Scientist" }
    storage   = { scope = var.storage_account_id, role = "Storage Blob Data Contributor" }
  }
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = var.workload_principal_id
  principal_type       = "ServicePrincipal"
}
