output "account" {
  description = "The storage account."
  value = {
    id            = azurerm_storage_account.this.id
    name          = azurerm_storage_account.this.name
    blob_endpoint = azurerm_storage_account.this.primary_blob_endpoint
  }
}

output "containers" {
  description = "Names of the blob containers."
  value       = [for container in azurerm_storage_container.this : container.name]
}
