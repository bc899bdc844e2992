# Data services of an OSMO control plane: PostgreSQL with Entra ID alone, and managed Redis.

data "azurerm_client_config" "this" {}

resource "azurerm_private_dns_zone" "postgresql" {
  name                = "${var.names.postgresql}.private.postgres.database.azure.com"
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "postgresql" {
  name                  = "link-postgresql"
  resource_group_name   = var.resource_group_name
  private_dns_zone_name = azurerm_private_dns_zone.postgresql.name
  virtual_network_id    = var.virtual_network_id
  tags                  = var.tags
}

resource "random_password" "postgresql" {
  length           = 32
  special          = true
  override_special = "-_"
}

resource "azurerm_postgresql_flexible_server" "this" {
  #checkov:skip=CKV_AZURE_136:On by default (osmo.geo_redundant_backup); regions without a pair must be able to turn it off.
  #checkov:skip=CKV2_AZURE_57:It stands in a delegated subnet without a public address, which a private endpoint would only repeat.

  name                          = var.names.postgresql
  resource_group_name           = var.resource_group_name
  location                      = var.location
  version                       = "16"
  sku_name                      = var.postgresql_sku
  storage_mb                    = var.storage_mb
  auto_grow_enabled             = true
  backup_retention_days         = 14
  geo_redundant_backup_enabled  = var.geo_redundant_backup
  public_network_access_enabled = false
  delegated_subnet_id           = var.postgresql_subnet_id
  private_dns_zone_id           = azurerm_private_dns_zone.postgresql.id
  administrator_login           = var.administrator_login
  administrator_password        = random_password.postgresql.result
  tags                          = var.tags

  authentication {
    # OSMO's service connects with a password, which lies in the key vault alone.
    active_directory_auth_enabled = true
    password_auth_enabled         = true
    tenant_id                     = data.azurerm_client_config.this.tenant_id
  }

  depends_on = [azurerm_private_dns_zone_virtual_network_link.postgresql]

  lifecycle {
    # Azure picks a zone and moves the standby.
    ignore_changes = [zone, high_availability]
  }
}

resource "azurerm_postgresql_flexible_server_configuration" "this" {
  for_each = {
    "azure.extensions"           = "HSTORE,UUID-OSSP,PG_STAT_STATEMENTS"
    "require_secure_transport"   = "on"
    "connection_throttle.enable" = "on"
    "log_checkpoints"            = "on"
  }
  name      = each.key
  server_id = azurerm_postgresql_flexible_server.this.id
  value     = each.value
}

resource "azurerm_postgresql_flexible_server_database" "osmo" {
  name      = "osmo"
  server_id = azurerm_postgresql_flexible_server.this.id
  charset   = "UTF8"
  collation = "en_US.utf8"

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_managed_redis" "this" {
  name                      = var.names.redis
  resource_group_name       = var.resource_group_name
  location                  = var.location
  sku_name                  = var.redis_sku
  high_availability_enabled = var.redis_high_availability
  public_network_access     = var.private_endpoints ? "Disabled" : "Enabled"
  tags                      = var.tags

  default_database {
    client_protocol                    = "Encrypted"
    clustering_policy                  = "EnterpriseCluster"
    eviction_policy                    = "VolatileLRU"
    access_keys_authentication_enabled = true
  }
}

resource "azurerm_key_vault_secret" "this" {
  for_each = {
    "osmo-postgresql-password" = random_password.postgresql.result
    "osmo-redis-password"      = azurerm_managed_redis.this.default_database[0].primary_access_key
  }
  name            = each.key
  value           = each.value
  key_vault_id    = var.key_vault_id
  content_type    = "password"
  expiration_date = timeadd(plantimestamp(), "8760h")
  tags            = var.tags

  lifecycle {
    ignore_changes = [expiration_date]
  }
}
