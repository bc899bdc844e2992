# Secrets and images.

data "azurerm_client_config" "this" {}

resource "azurerm_key_vault" "this" {
  #checkov:skip=CKV_AZURE_189:No public address unless the user names the ranges that may use it.
  #checkov:skip=CKV2_AZURE_32:The private endpoint is made in the root module, which this check does not follow.

  name                          = var.names.key_vault
  resource_group_name           = var.resource_group_name
  location                      = var.location
  tenant_id                     = data.azurerm_client_config.this.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = var.public_network_access
  tags                          = var.tags

  network_acls {
    default_action             = "Deny"
    bypass                     = "AzureServices"
    ip_rules                   = var.allowed_ip_ranges
    virtual_network_subnet_ids = var.private_endpoints ? [] : [var.nodes_subnet_id]
  }
}

# Private endpoints, retention and zone redundancy are the premium tier's.
resource "azurerm_container_registry" "this" {
  #checkov:skip=CKV_AZURE_139:No public address unless the user names the ranges that may use it.
  #checkov:skip=CKV_AZURE_164:Azure retires content trust and no longer admits it on new registries.
  #checkov:skip=CKV_AZURE_165:One region trains; a copy elsewhere costs a registry and serves nobody.
  #checkov:skip=CKV_AZURE_166:Quarantine needs a scanner that marks images; without one every pull would be refused.
  #checkov:skip=CKV_AZURE_237:Nodes pull through the private endpoint, which has a data endpoint of its own.

  name                          = var.names.container_registry
  resource_group_name           = var.resource_group_name
  location                      = var.location
  sku                           = "Premium"
  admin_enabled                 = false
  anonymous_pull_enabled        = false
  public_network_access_enabled = var.public_network_access
  network_rule_bypass_option    = "AzureServices"
  retention_policy_in_days      = 30
  zone_redundancy_enabled       = true
  tags                          = var.tags

  network_rule_set {
    default_action = "Deny"
    ip_rule = [
      for range in var.allowed_ip_ranges : { action = "Allow", ip_range = range }
    ]
  }
}

# Whoever runs Terraform writes OSMO's passwords into the vault, and 002-setup reads them from it.
resource "azurerm_role_assignment" "secrets" {
  for_each             = var.admin_principal_ids
  scope                = azurerm_key_vault.this.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = each.value
}

resource "azurerm_role_assignment" "pull" {
  scope                = azurerm_container_registry.this.id
  role_definition_name = "AcrPull"
  principal_id         = var.kubelet_principal_id
  principal_type       = "ServicePrincipal"
}
