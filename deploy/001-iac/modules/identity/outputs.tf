output "identities" {
  description = "Identities by purpose: id (ARM), client_id and principal_id."
  value = {
    for purpose, identity in azurerm_user_assigned_identity.this : purpose => {
      id           = identity.id
      name         = identity.name
      client_id    = identity.client_id
      principal_id = identity.principal_id
    }
  }
}
