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
  #checkov:skip=CKV2_AZURE_49:No public address unless the user names ranges or turns private endpoints off.
  #checkov:skip=CKV2_AZURE_50:The account's rules are in the storage module: denied by default, no keys, never anonymous.

  name                           = var.names.workspace
  resource_group_name            = var.resource_group_name
  location                       = var.location
  application_insights_id        = var.application_insights_id
  key_vault_id                   = var.key_vault_id
  storage_account_id             = var.storage_account_id
  container_registry_id          = var.container_registry_id
  primary_user_assigned_identity = var.workspace_identity.id
  public_network_access_enabled  = var.public_network_access
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

# The account takes no keys, so the workspace's own datastores use identities; azurerm has no argument for it.
resource "azapi_update_resource" "datastores" {
  type        = "Microsoft.MachineLearningServices/workspaces@2024-10-01"
  resource_id = azurerm_machine_learning_workspace.this.id
  body        = { properties = { systemDatastoresAuthMode = "identity" } }
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
