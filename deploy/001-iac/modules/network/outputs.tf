output "virtual_network" {
  description = "The network."
  value       = { id = azurerm_virtual_network.this.id, name = azurerm_virtual_network.this.name }
}

output "subnet_ids" {
  description = "Subnets by what stands in them."
  value = {
    nodes      = azurerm_subnet.nodes.id
    endpoints  = azurerm_subnet.endpoints.id
    postgresql = azurerm_subnet.postgresql.id
  }
  # Nodes without a way out cannot pull their first image.
  depends_on = [azurerm_subnet_nat_gateway_association.nodes, azurerm_nat_gateway_public_ip_association.this]
}

output "dns_zone_ids" {
  description = "Private DNS zones by name; empty without private endpoints."
  value       = { for name, zone in azurerm_private_dns_zone.this : name => zone.id }
}

output "egress_address" {
  description = "Public address that everything in the cluster leaves from."
  value       = azurerm_public_ip.nat.ip_address
}
