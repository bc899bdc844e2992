# Names of every resource, in one place and without a provider, so that they can be tested offline.
# Abbreviations follow Azure's Cloud Adoption Framework.

variable "project" {
  description = "Short name of the project."
  type        = string
}

variable "environment" {
  description = "Stage."
  type        = string
}

variable "instance" {
  description = "Number of the deployment."
  type        = number
}

variable "subscription_id" {
  description = "Subscription: globally unique names carry four characters of its hash."
  type        = string
}

locals {
  suffix = format("%s-%s-%03d", var.project, var.environment, var.instance)
  # Storage accounts, registries and vaults share one name space with all of Azure.
  unique  = substr(sha1(lower(var.subscription_id)), 0, 4)
  compact = format("%s%s%03d%s", var.project, var.environment, var.instance, local.unique)
}

output "names" {
  description = "Names by kind of resource."
  value = {
    resource_group       = "rg-${local.suffix}"
    virtual_network      = "vnet-${local.suffix}"
    nat_gateway          = "ng-${local.suffix}"
    public_ip            = "pip-ng-${local.suffix}"
    network_security     = "nsg-${local.suffix}"
    storage_account      = "st${local.compact}"
    container_registry   = "acr${local.compact}"
    key_vault            = "kv${local.compact}"
    log_analytics        = "log-${local.suffix}"
    application_insights = "appi-${local.suffix}"
    workspace            = "mlw-${local.suffix}"
    cluster              = "aks-${local.suffix}"
    postgresql           = "psql-${local.suffix}-${local.unique}"
    redis                = "redis-${local.suffix}-${local.unique}"
    cluster_identity     = "id-aks-${local.suffix}"
    kubelet_identity     = "id-kubelet-${local.suffix}"
    workload_identity    = "id-ml-${local.suffix}"
    osmo_identity        = "id-osmo-${local.suffix}"
    workspace_identity   = "id-mlw-${local.suffix}"
  }
}
