# The Azure ML workspace, and its own compute where the cluster is not Kubernetes.

resource "azurerm_role_assignment" "workspace" {
  for_each = {
    storage  = { scope = var.storage_account_id, role = "Storage Blob Data Contributor" }
    files    = { scope = var.storage_account_id, role = "Storage File Data Privileged Contributor" }
    vault    = { scope = var.key_vault_id, role = "Key Vault Administrator" }
    registry = { scope = var.container_registry_id, role = "AcrPush" }
    insights = { scope = var.application_insights_id, role = "Contributor" }
    account  = { scope = var.storage_account_id, role = "Contributor" }
    vaultarm = { scope = var.key_vault_id, role = "Contributor" }
    acrarm   = { scope = var.container_registry_id, role = "Contributor" }
  }
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = var.workspace_identity.principal_id
  principal_type       = "ServicePrincipal"
}

# The storage account takes no keys. azurerm can only create a workspace whose datastores use them
# (terraform-provider-azurerm issue 22150), so that its creation fails or leaves datastores that nobody can read.
resource "azapi_resource" "workspace" {
  type      = "Microsoft.MachineLearningServices/workspaces@2024-10-01"
  name      = var.names.workspace
  parent_id = var.resource_group_id
  location  = var.location
  tags      = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.workspace_identity.id]
  }

  body = {
    kind = "Default"
    sku  = { name = "Basic", tier = "Basic" }
    properties = {
      applicationInsights         = var.application_insights_id
      keyVault                    = var.key_vault_id
      storageAccount              = var.storage_account_id
      containerRegistry           = var.container_registry_id
      primaryUserAssignedIdentity = var.workspace_identity.id
      publicNetworkAccess         = var.public_network_access ? "Enabled" : "Disabled"
      systemDatastoresAuthMode    = "identity"
      v1LegacyMode                = false
      # The registry has no public address: images are built on this compute and not by the registry itself.
      imageBuildCompute = var.image_build ? local.build_compute : null
    }
  }

  # The workspace is refused while its identity cannot reach what it is made of.
  depends_on = [azurerm_role_assignment.workspace]
}

locals {
  build_compute = "image-build"
}

# CPU nodes that scale to zero: environments from a Dockerfile or conda file are built here.
resource "azurerm_machine_learning_compute_cluster" "image_build" {
  #checkov:skip=CKV_AZURE_150:It scales to zero; checkov asks for the same as min_node_count = 0 below.
  count                         = var.image_build ? 1 : 0
  name                          = local.build_compute
  machine_learning_workspace_id = azapi_resource.workspace.id
  location                      = var.location
  vm_priority                   = "Dedicated"
  vm_size                       = "Standard_DS3_v2"
  subnet_resource_id            = var.subnet_id
  local_auth_enabled            = false
  node_public_ip_enabled        = false
  ssh_public_access_enabled     = false

  scale_settings {
    min_node_count                       = 0
    max_node_count                       = 1
    scale_down_nodes_after_idle_duration = "PT5M"
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [var.workload_identity.id]
  }
}

# Clusters of Azure ML's own, one for each GPU pool, in place of Kubernetes.
resource "azurerm_machine_learning_compute_cluster" "gpu" {
  for_each                      = var.compute_clusters
  name                          = each.key
  machine_learning_workspace_id = azapi_resource.workspace.id
  location                      = var.location
  vm_priority                   = each.value.spot ? "LowPriority" : "Dedicated"
  vm_size                       = each.value.vm_size
  subnet_resource_id            = var.subnet_id
  local_auth_enabled            = false
  node_public_ip_enabled        = false
  ssh_public_access_enabled     = false

  scale_settings {
    min_node_count                       = 0
    max_node_count                       = each.value.max_count
    scale_down_nodes_after_idle_duration = "PT10M"
  }

  # A job finds this identity's client id in DEFAULT_IDENTITY_CLIENT_ID.
  identity {
    type         = "UserAssigned"
    identity_ids = [var.workload_identity.id]
  }
}

# What a training job may do: read and write runs and models, and the files behind them.
resource "azurerm_role_assignment" "workload" {
  for_each = {
    workspace = { scope = azapi_resource.workspace.id, role = "AzureML Data Scientist" }
    storage   = { scope = var.storage_account_id, role = "Storage Blob Data Contributor" }
  }
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = var.workload_identity.principal_id
  principal_type       = "ServicePrincipal"
}

# What a person who trains may do. Without keys, blobs and files are read with these roles alone.
locals {
  user_roles = {
    workspace = { scope = azapi_resource.workspace.id, role = "AzureML Data Scientist" }
    blobs     = { scope = var.storage_account_id, role = "Storage Blob Data Contributor" }
    files     = { scope = var.storage_account_id, role = "Storage File Data Privileged Contributor" }
    metrics   = { scope = var.application_insights_id, role = "Monitoring Metrics Publisher" }
  }
  user_assignments = merge([
    for user, id in var.user_principal_ids : {
      for purpose, found in local.user_roles : "${user}-${purpose}" => merge(found, { principal_id = id })
    }
  ]...)
}

resource "azurerm_role_assignment" "user" {
  for_each             = local.user_assignments
  scope                = each.value.scope
  role_definition_name = each.value.role
  principal_id         = each.value.principal_id
}

# Money: a mail at 80 % and at 100 % of what was planned for a month. It stops nothing.
resource "azurerm_consumption_budget_resource_group" "this" {
  count             = var.budget == null ? 0 : 1
  name              = "budget-${var.names.workspace}"
  resource_group_id = var.resource_group_id
  amount            = var.budget.amount
  time_grain        = "Monthly"

  time_period {
    start_date = var.budget.start_date
  }

  dynamic "notification" {
    for_each = [80, 100]
    content {
      threshold      = notification.value
      operator       = "GreaterThanOrEqualTo"
      contact_emails = var.budget.contact_emails
    }
  }
}
