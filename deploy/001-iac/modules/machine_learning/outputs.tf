output "workspace" {
  description = "The workspace."
  value = {
    id   = azurerm_machine_learning_workspace.this.id
    name = azurerm_machine_learning_workspace.this.name
  }
}
