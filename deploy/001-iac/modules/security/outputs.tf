output "key_vault" {
  description = "The key vault."
  value = {
    id   = azurerm_key_vault.this.id
    name = azurerm_key_vault.this.name
    uri  = azurerm_key_vault.this.vault_uri
  }
  # Nobody writes a secret before the role that allows it.
  depends_on = [azurerm_role_assignment.secrets]
}

output "container_registry" {
  description = "The container registry."
  value = {
    id           = azurerm_container_registry.this.id
    name         = azurerm_container_registry.this.name
    login_server = azurerm_container_registry.this.login_server
  }
}
