variable "names" {
  description = "Names from the naming module."
  type        = map(string)
}

variable "resource_group_name" {
  description = "Resource group."
  type        = string
}

variable "location" {
  description = "Region."
  type        = string
}

variable "tags" {
  description = "Tags."
  type        = map(string)
}

variable "virtual_network_id" {
  description = "Network that resolves the server's name."
  type        = string
}

variable "postgresql_subnet_id" {
  description = "Subnet delegated to PostgreSQL."
  type        = string
}

variable "postgresql_sku" {
  description = "Flexible-server SKU."
  type        = string
}

variable "storage_mb" {
  description = "Size of the database's disk [MB]."
  type        = number
}

variable "redis_sku" {
  description = "Managed Redis SKU."
  type        = string
}

variable "redis_high_availability" {
  description = "Whether Redis has a replica."
  type        = bool
  default     = true
}

variable "geo_redundant_backup" {
  description = "Whether backups are kept in the paired region too; not every region has one."
  type        = bool
  default     = true
}

variable "administrator_login" {
  description = "PostgreSQL administrator."
  type        = string
  default     = "osmoadmin"
}

variable "key_vault_id" {
  description = "Vault that keeps the passwords."
  type        = string
}

variable "private_endpoints" {
  description = "Whether Redis is reached only through a private endpoint."
  type        = bool
}
