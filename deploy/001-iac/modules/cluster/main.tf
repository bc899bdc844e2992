# AKS: a system pool, GPU pools that scale to zero, workload identity, no local accounts.

resource "azurerm_role_assignment" "network" {
  scope                = var.virtual_network_id
  role_definition_name = "Network Contributor"
  principal_id         = var.cluster_identity.principal_id
  principal_type       = "ServicePrincipal"
}

# The cluster hands the kubelet identity to its nodes.
resource "azurerm_role_assignment" "kubelet" {
  scope                = var.kubelet_identity.id
  role_definition_name = "Managed Identity Operator"
  principal_id         = var.cluster_identity.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_kubernetes_cluster" "this" {
  #checkov:skip=CKV_AZURE_115:The API server admits allowed_ip_ranges and the cluster's own address alone, and Entra ID alone.
  #checkov:skip=CKV_AZURE_117:Disks are encrypted with platform keys and on the host; keys of one's own are a decision of the subscription.
  #checkov:skip=CKV_AZURE_232:A small deployment has one pool for the system and OSMO's services; system_pool.max_count bounds it.

  name                              = var.names.cluster
  resource_group_name               = var.resource_group_name
  location                          = var.location
  dns_prefix                        = var.names.cluster
  kubernetes_version                = var.kubernetes_version
  sku_tier                          = "Standard"
  local_account_disabled            = true
  role_based_access_control_enabled = true
  oidc_issuer_enabled               = true
  workload_identity_enabled         = true
  azure_policy_enabled              = true
  automatic_upgrade_channel         = "patch"
  node_os_upgrade_channel           = "NodeImage"
  private_cluster_enabled           = false
  image_cleaner_enabled             = true
  image_cleaner_interval_hours      = 168
  tags                              = var.tags

  default_node_pool {
    name                         = "system"
    vm_size                      = var.system_pool.vm_size
    auto_scaling_enabled         = true
    min_count                    = var.system_pool.min_count
    max_count                    = var.system_pool.max_count
    zones                        = length(var.system_pool.zones) > 0 ? var.system_pool.zones : null
    max_pods                     = 110
    os_disk_type                 = "Ephemeral"
    os_sku                       = "AzureLinux"
    vnet_subnet_id               = var.subnet_id
    host_encryption_enabled      = true
    temporary_name_for_rotation  = "systemtmp"
    only_critical_addons_enabled = false

    upgrade_settings {
      max_surge = "33%"
    }
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [var.cluster_identity.id]
  }

  kubelet_identity {
    client_id                 = var.kubelet_identity.client_id
    object_id                 = var.kubelet_identity.principal_id
    user_assigned_identity_id = var.kubelet_identity.id
  }

  azure_active_directory_role_based_access_control {
    azure_rbac_enabled = true
  }

  api_server_access_profile {
    authorized_ip_ranges = concat(var.allowed_ip_ranges, ["${var.egress_address}/32"])
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_data_plane  = "cilium"
    network_policy      = "cilium"
    outbound_type       = "userAssignedNATGateway"
    pod_cidr            = "192.168.0.0/16"
    service_cidr        = "172.29.0.0/16"
    dns_service_ip      = "172.29.0.10"
  }

  key_vault_secrets_provider {
    secret_rotation_enabled = true
  }

  oms_agent {
    log_analytics_workspace_id      = var.log_analytics_id
    msi_auth_for_monitoring_enabled = true
  }

  maintenance_window_auto_upgrade {
    frequency   = "Weekly"
    interval    = 1
    duration    = 6
    day_of_week = "Sunday"
    start_time  = "02:00"
    utc_offset  = "+00:00"
  }

  depends_on = [azurerm_role_assignment.network, azurerm_role_assignment.kubelet]

  lifecycle {
    # The autoscaler moves it.
    ignore_changes = [default_node_pool[0].node_count]
  }
}

# Local accounts are off: without a role, nobody at all is let in.
resource "azurerm_role_assignment" "admin" {
  for_each             = var.admin_principal_ids
  scope                = azurerm_kubernetes_cluster.this.id
  role_definition_name = "Azure Kubernetes Service RBAC Cluster Admin"
  principal_id         = each.value
}

# Azure ML reaches the API server as a trusted service: past the authorized ranges, and although local accounts are off,
# which its extension does not support otherwise.
resource "azurerm_kubernetes_cluster_trusted_access_role_binding" "workspace" {
  name                  = "azureml"
  kubernetes_cluster_id = azurerm_kubernetes_cluster.this.id
  source_resource_id    = var.workspace.id
  roles                 = ["Microsoft.MachineLearningServices/workspaces/mlworkload"]
}

# Attaching a cluster asks for these of the workspace's identity.
resource "azurerm_role_assignment" "workspace" {
  for_each = {
    cluster    = "Azure Kubernetes Service Contributor Role"
    extensions = "Kubernetes Extension Contributor"
  }
  scope                = azurerm_kubernetes_cluster.this.id
  role_definition_name = each.value
  principal_id         = var.workspace_identity.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_kubernetes_cluster_node_pool" "gpu" {
  for_each              = var.gpu_pools
  name                  = each.key
  kubernetes_cluster_id = azurerm_kubernetes_cluster.this.id
  mode                  = "User"
  vm_size               = each.value.vm_size
  auto_scaling_enabled  = true
  min_count             = 0
  max_count             = each.value.max_count
  zones                 = length(each.value.zones) > 0 ? each.value.zones : null
  priority              = each.value.spot ? "Spot" : "Regular"
  eviction_policy       = each.value.spot ? "Delete" : null
  spot_max_price        = each.value.spot ? -1 : null
  os_disk_size_gb       = 256
  os_sku                = "Ubuntu"
  vnet_subnet_id        = var.subnet_id
  max_pods              = 110
  # GPUs of the NV series are virtual ones, whose GRID driver only AKS brings; on the others the GPU operator brings the
  # driver, so that its release is ours to choose.
  gpu_driver              = startswith(each.value.vm_size, "Standard_NV") ? "Install" : "None"
  host_encryption_enabled = true
  tags                    = var.tags

  node_labels = merge(
    { "gaitway/pool" = each.key },
    startswith(each.value.vm_size, "Standard_NV") ? { "nvidia.com/gpu.deploy.driver" = "false" } : {},
    each.value.spot ? { "kubernetes.azure.com/scalesetpriority" = "spot" } : {},
  )
  # 002-setup tells the pods of Azure ML's extension, of OSMO and of the GPU operator to tolerate these.
  node_taints = concat(
    ["ml.azure.com/amlarc-workload=true:NoSchedule"],
    each.value.spot ? ["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"] : [],
  )

  lifecycle {
    ignore_changes = [node_count]
  }
}

# Which Kubernetes service accounts may act as which identity.
resource "azurerm_federated_identity_credential" "this" {
  for_each            = var.service_accounts
  name                = each.key
  resource_group_name = var.resource_group_name
  parent_id           = each.value.identity_id
  issuer              = azurerm_kubernetes_cluster.this.oidc_issuer_url
  subject             = "system:serviceaccount:${each.value.namespace}:${each.value.name}"
  audience            = ["api://AzureADTokenExchange"]
}
