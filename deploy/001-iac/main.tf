# Everything a first training on Azure ML and on OSMO stands on. What runs inside the cluster is 002-setup's.

locals {
  tags = merge({ project = var.project, environment = var.environment, managed_by = "terraform" }, var.tags)

  # With neither private endpoints nor an allowed range nothing could be reached; with ranges, only those are let in.
  public_network_access = !var.private_endpoints || length(var.allowed_ip_ranges) > 0

  admin_principal_ids = merge({ deployer = data.azurerm_client_config.this.object_id }, var.admin_principal_ids)

  # Whoever sets this up trains with it too.
  user_principal_ids = merge(local.admin_principal_ids, var.user_principal_ids)

  kubernetes = var.compute == "aks"
  compute_clusters = {
    for name, pool in var.gpu_pools : name => { vm_size = pool.vm_size, spot = pool.spot, max_count = pool.max_count }
  }

  # OSMO runs in the cluster.
  osmo = var.osmo.enabled && local.kubernetes

  containers = ["checkpoints", "datasets", "osmo", "workflows"]

  resource_group = {
    id       = azurerm_resource_group.this.id
    name     = azurerm_resource_group.this.name
    location = azurerm_resource_group.this.location
  }

  common = {
    names               = module.naming.names
    resource_group_name = azurerm_resource_group.this.name
    location            = azurerm_resource_group.this.location
    tags                = local.tags
  }
}

data "azurerm_client_config" "this" {}

module "naming" {
  source          = "./modules/naming"
  project         = var.project
  environment     = var.environment
  instance        = var.instance
  subscription_id = var.subscription_id
}

resource "azurerm_resource_group" "this" {
  name     = module.naming.names.resource_group
  location = var.location
  tags     = local.tags
}

module "identity" {
  source              = "./modules/identity"
  names               = local.common.names
  resource_group_name = local.common.resource_group_name
  location            = local.common.location
  tags                = local.common.tags
}

module "network" {
  source              = "./modules/network"
  names               = local.common.names
  resource_group_name = local.common.resource_group_name
  location            = local.common.location
  tags                = local.common.tags
  address_space       = var.address_space
  private_endpoints   = var.private_endpoints
}

module "observability" {
  source              = "./modules/observability"
  names               = local.common.names
  resource_group_name = local.common.resource_group_name
  location            = local.common.location
  tags                = local.common.tags
}

module "storage" {
  source                = "./modules/storage"
  public_network_access = local.public_network_access
  names                 = local.common.names
  resource_group_name   = local.common.resource_group_name
  location              = local.common.location
  tags                  = local.common.tags
  private_endpoints     = var.private_endpoints
  allowed_ip_ranges     = var.allowed_ip_ranges
  nodes_subnet_id       = module.network.subnet_ids.nodes
  containers            = local.containers
}

module "security" {
  source                = "./modules/security"
  public_network_access = local.public_network_access
  admin_principal_ids   = local.admin_principal_ids
  names                 = local.common.names
  resource_group_name   = local.common.resource_group_name
  location              = local.common.location
  tags                  = local.common.tags
  private_endpoints     = var.private_endpoints
  allowed_ip_ranges     = var.allowed_ip_ranges
  nodes_subnet_id       = module.network.subnet_ids.nodes
  kubelet_principal_id  = module.identity.identities.kubelet.principal_id
}

module "machine_learning" {
  source                  = "./modules/machine_learning"
  names                   = local.common.names
  resource_group_name     = local.common.resource_group_name
  location                = local.common.location
  tags                    = local.common.tags
  public_network_access   = local.public_network_access
  storage_account_id      = module.storage.account.id
  key_vault_id            = module.security.key_vault.id
  container_registry_id   = module.security.container_registry.id
  application_insights_id = module.observability.application_insights_id
  workspace_identity      = module.identity.identities.workspace
  workload_identity       = module.identity.identities.workload
  resource_group_id       = local.resource_group.id
  subnet_id               = module.network.subnet_ids.nodes
  compute_clusters        = local.kubernetes ? {} : local.compute_clusters
  image_build             = var.private_endpoints
  user_principal_ids      = local.user_principal_ids
  budget                  = var.budget
}

module "cluster" {
  source              = "./modules/cluster"
  count               = local.kubernetes ? 1 : 0
  workspace           = module.machine_learning.workspace
  workspace_identity  = module.identity.identities.workspace
  admin_principal_ids = local.admin_principal_ids
  names               = local.common.names
  resource_group_name = local.common.resource_group_name
  location            = local.common.location
  tags                = local.common.tags
  kubernetes_version  = var.kubernetes_version
  subnet_id           = module.network.subnet_ids.nodes
  virtual_network_id  = module.network.virtual_network.id
  egress_address      = module.network.egress_address
  allowed_ip_ranges   = var.allowed_ip_ranges
  system_pool         = var.system_pool
  gpu_pools           = var.gpu_pools
  cluster_identity    = module.identity.identities.cluster
  kubelet_identity    = module.identity.identities.kubelet
  log_analytics_id    = module.observability.log_analytics_id
  service_accounts = {
    azureml-default  = { namespace = "azureml", name = "default", identity_id = module.identity.identities.workload.id }
    azureml-training = { namespace = "azureml", name = "training", identity_id = module.identity.identities.workload.id }
    osmo-workflow    = { namespace = var.osmo.namespaces.workflows, name = "osmo-workflow", identity_id = module.identity.identities.workload.id }
    osmo-service     = { namespace = var.osmo.namespaces.control_plane, name = "osmo-service", identity_id = module.identity.identities.osmo.id }
  }
}

module "osmo_data" {
  source               = "./modules/osmo_data"
  count                = local.osmo ? 1 : 0
  names                = local.common.names
  resource_group_name  = local.common.resource_group_name
  location             = local.common.location
  tags                 = local.common.tags
  virtual_network_id   = module.network.virtual_network.id
  postgresql_subnet_id = module.network.subnet_ids.postgresql
  postgresql_sku       = var.osmo.postgresql_sku
  storage_mb           = var.osmo.storage_mb
  redis_sku            = var.osmo.redis_sku
  geo_redundant_backup = var.osmo.geo_redundant_backup
  private_endpoints    = var.private_endpoints
  key_vault_id         = module.security.key_vault.id
}

# OSMO's service keeps workflows' data in the account and its passwords in the vault.
resource "azurerm_role_assignment" "osmo" {
  for_each = {
    storage = { scope = module.storage.account.id, role = "Storage Blob Data Contributor" }
    vault   = { scope = module.security.key_vault.id, role = "Key Vault Secrets User" }
  }
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = module.identity.identities.osmo.principal_id
  principal_type       = "ServicePrincipal"
}

locals {
  endpoints = var.private_endpoints ? merge(local.osmo_endpoints, {
    blob      = { resource_id = module.storage.account.id, subresource = "blob", zones = ["privatelink.blob.core.windows.net"] }
    dfs       = { resource_id = module.storage.account.id, subresource = "dfs", zones = ["privatelink.dfs.core.windows.net"] }
    file      = { resource_id = module.storage.account.id, subresource = "file", zones = ["privatelink.file.core.windows.net"] }
    vault     = { resource_id = module.security.key_vault.id, subresource = "vault", zones = ["privatelink.vaultcore.azure.net"] }
    registry  = { resource_id = module.security.container_registry.id, subresource = "registry", zones = ["privatelink.azurecr.io"] }
    workspace = { resource_id = module.machine_learning.workspace.id, subresource = "amlworkspace", zones = ["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"] }
  }) : {}
  osmo_endpoints = local.osmo ? {
    redis = { resource_id = module.osmo_data[0].redis_id, subresource = "redisEnterprise", zones = ["privatelink.redis.azure.net"] }
  } : {}
}

module "private_endpoint" {
  source              = "./modules/private_endpoint"
  for_each            = local.endpoints
  name                = "pe-${each.key}-${var.project}-${var.environment}-${format("%03d", var.instance)}"
  resource_group_name = local.common.resource_group_name
  location            = local.common.location
  subnet_id           = module.network.subnet_ids.endpoints
  resource_id         = each.value.resource_id
  subresource         = each.value.subresource
  dns_zone_ids        = [for zone in each.value.zones : module.network.dns_zone_ids[zone]]
  tags                = local.tags
}
