# The deployment without Azure: the real variables.tf and outputs.tf over modules that only return what the real ones would.
# Terraform applies it with nothing but its built-in provider, so that validation, the outputs' shape and everything
# that reads them (gaitway's settings, 002-setup, the rehearsal) can be tried on any machine.

locals {
  group = "/subscriptions/${var.subscription_id}/resourceGroups/${module.naming.names.resource_group}"
  names = module.naming.names

  resource_group = { id = local.group, name = local.names.resource_group, location = var.location }

  identities = {
    for purpose in ["cluster", "kubelet", "workspace", "workload", "osmo"] : purpose => {
      id           = "${local.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${local.names["${purpose}_identity"]}"
      name         = local.names["${purpose}_identity"]
      client_id    = uuidv5("dns", "client.${purpose}")
      principal_id = uuidv5("dns", "principal.${purpose}")
    }
  }
}

module "naming" {
  source          = "../../modules/naming"
  project         = var.project
  environment     = var.environment
  instance        = var.instance
  subscription_id = var.subscription_id
}

module "identity" {
  source = "./module"
  says   = { identities = local.identities }
}

module "machine_learning" {
  source = "./module"
  says = {
    workspace = {
      id   = "${local.group}/providers/Microsoft.MachineLearningServices/workspaces/${local.names.workspace}"
      name = local.names.workspace
    }
    compute_clusters = var.compute == "aks" ? {} : {
      for name, pool in var.gpu_pools : name => { name = name, vm_size = pool.vm_size, spot = pool.spot, max_count = pool.max_count }
    }
  }
}

module "storage" {
  source = "./module"
  says = {
    account = {
      id            = "${local.group}/providers/Microsoft.Storage/storageAccounts/${local.names.storage_account}"
      name          = local.names.storage_account
      blob_endpoint = "https://${local.names.storage_account}.blob.core.windows.net/"
    }
    containers = ["checkpoints", "datasets", "osmo", "workflows"]
  }
}

module "security" {
  source = "./module"
  says = {
    key_vault = {
      id   = "${local.group}/providers/Microsoft.KeyVault/vaults/${local.names.key_vault}"
      name = local.names.key_vault
      uri  = "https://${local.names.key_vault}.vault.azure.net/"
    }
    container_registry = {
      id           = "${local.group}/providers/Microsoft.ContainerRegistry/registries/${local.names.container_registry}"
      name         = local.names.container_registry
      login_server = "${local.names.container_registry}.azurecr.io"
    }
  }
}

module "cluster" {
  source = "./module"
  count  = var.compute == "aks" ? 1 : 0
  says = {
    cluster = {
      id              = "${local.group}/providers/Microsoft.ContainerService/managedClusters/${local.names.cluster}"
      name            = local.names.cluster
      oidc_issuer_url = "https://${var.location}.oic.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/"
    }
    gpu_pools = {
      for name, pool in var.gpu_pools : name => {
        vm_size   = pool.vm_size
        spot      = pool.spot
        max_count = pool.max_count
        labels    = { "gaitway/pool" = name }
        gpus      = pool.gpus
        taints = concat(
          ["ml.azure.com/amlarc-workload=true:NoSchedule"],
          pool.spot ? ["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"] : [],
        )
      }
    }
  }
}

module "osmo_data" {
  source = "./module"
  count  = var.osmo.enabled && var.compute == "aks" ? 1 : 0
  says = {
    postgresql = {
      fqdn            = "${local.names.postgresql}.postgres.database.azure.com"
      admin_username  = "osmoadmin"
      database        = "osmo"
      password_secret = "osmo-postgresql-password"
    }
    redis = {
      hostname        = "${local.names.redis}.${var.location}.redis.azure.net"
      port            = 10000
      password_secret = "osmo-redis-password"
    }
  }
}
