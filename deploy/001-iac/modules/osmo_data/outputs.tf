output "postgresql" {
  description = "Where OSMO's database is; its password is the vault's secret osmo-postgresql-password."
  value = {
    fqdn            = azurerm_postgresql_flexible_server.this.fqdn
    admin_username  = azurerm_postgresql_flexible_server.this.administrator_login
    database        = azurerm_postgresql_flexible_server_database.osmo.name
    password_secret = "osmo-postgresql-password"
  }
}

output "redis" {
  description = "Where OSMO's Redis is; its password is the vault's secret osmo-redis-password."
  value = {
    hostname        = azurerm_managed_redis.this.hostname
    port            = azurerm_managed_redis.this.default_database[0].port
    password_secret = "osmo-redis-password"
  }
}

output "redis_id" {
  description = "Managed Redis, for its private endpoint."
  value       = azurerm_managed_redis.this.id
}
