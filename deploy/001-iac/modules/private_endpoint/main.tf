# One private endpoint with its DNS records: a service's public name resolves to an address inside the network.

variable "name" {
  description = "Name of the endpoint."
  type        = string
}

variable "resource_group_name" {
  description = "Resource group."
  type        = string
}

variable "location" {
  description = "Region."
  type        = string
}

variable "subnet_id" {
  description = "Subnet that the endpoint's address is taken from."
  type        = string
}

variable "resource_id" {
  description = "Service behind the endpoint."
  type        = string
}

variable "subresource" {
  description = "Part of the service, for example blob or vault."
  type        = string
}

variable "dns_zone_ids" {
  description = "Private DNS zones that get the records."
  type        = list(string)
}

variable "tags" {
  description = "Tags."
  type        = map(string)
}

resource "azurerm_private_endpoint" "this" {
  name                = var.name
  resource_group_name = var.resource_group_name
  location            = var.location
  subnet_id           = var.subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = var.name
    private_connection_resource_id = var.resource_id
    subresource_names              = [var.subresource]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "default"
    private_dns_zone_ids = var.dns_zone_ids
  }
}
