# Secrets and images.

data "azurerm_client_config" "this" {}

resource "azurerm_key_vault" "this" {
  name                          = var.names.key_vault
  resource_group_name           = var.resource_group_name
  location                      = var.location
  tenant_id                     = data.azurerm_client_config.this.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = !var.private_endpoints
  tags                          = var.tags

  network_acls {
    default_action             = "Deny"
    bypass                     = "AzureServices"
    ip_rules                   = var.private_endpoints ? [] : var.allowed_ip_ranges
    virtual_network_subnet_ids = var.private_endpoints ? [] : [var.nodes_subnet_id]
  }
}

# Private endpoints, retention and zone redundancy are the premium tier's.
resource "azurerm_container_registry" "this" {
  name                          = var.names.container_registry
  resource_group_name           = var.resource_group_name
  location                      = var.location
  sku                           = "Premium"
  admin_enabled                 = false
  anonymous_pull_enabled        = false
  public_network_access_enabled = !var.private_endpoints
  network_rule_bypass_option    = "AzureServices"
  retention_policy_in_days      = 30
  trust_policy_enabled          = true
  zone_redundancy_enabled       = true
  tags                          = var.tags

  network_rule_set {
    default_action = "Deny"
    ip_rule = [
      for range in(var.private_endpoints ? [] : var.allowed_ip_ranges) : { action = "Allow", ip_range = range }
    ]
  }
}

resource "azurerm_role_assignment" "pull" {
  scope                = azurerm_container_registry.this.id
  role_definition_name = "AcrPull"
  principal_id         = var.kubelet_principal_id
  principal_type       = "ServicePrincipal"
}
