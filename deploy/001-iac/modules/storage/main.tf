# Checkpoints, datasets and payloads. No account key, no public blob, TLS 1.2, and a way back from a deletion.

resource "azurerm_storage_account" "this" {
  #checkov:skip=CKV_AZURE_59:No public address unless the user names the ranges that may use it; never anonymous.
  #checkov:skip=CKV_AZURE_206:Zone-redundant by default; the check knows replication to another region only.
  #checkov:skip=CKV_AZURE_33:No queue is used.
  #checkov:skip=CKV2_AZURE_1:Encrypted with platform keys, twice; keys of one's own are a decision of the subscription.
  #checkov:skip=CKV2_AZURE_33:The private endpoint is made in the root module, which this check does not follow.

  name                              = var.names.storage_account
  resource_group_name               = var.resource_group_name
  location                          = var.location
  account_tier                      = "Standard"
  account_kind                      = "StorageV2"
  account_replication_type          = var.replication_type
  min_tls_version                   = "TLS1_2"
  https_traffic_only_enabled        = true
  shared_access_key_enabled         = false
  default_to_oauth_authentication   = true
  allow_nested_items_to_be_public   = false
  cross_tenant_replication_enabled  = false
  local_user_enabled                = false
  public_network_access_enabled     = var.public_network_access
  infrastructure_encryption_enabled = true
  tags                              = var.tags

  network_rules {
    default_action             = "Deny"
    bypass                     = ["AzureServices"]
    ip_rules                   = [for range in var.allowed_ip_ranges : trimsuffix(range, "/32")]
    virtual_network_subnet_ids = var.private_endpoints ? [] : [var.nodes_subnet_id]
  }

  blob_properties {
    versioning_enabled = true
    delete_retention_policy {
      days = 14
    }
    container_delete_retention_policy {
      days = 14
    }
  }

  sas_policy {
    expiration_period = "01.00:00:00"
    expiration_action = "Block"
  }
}

resource "azurerm_storage_container" "this" {
  #checkov:skip=CKV2_AZURE_21:A log line per read of a checkpoint costs more than it tells; reads are tied to identities already.

  for_each              = toset(var.containers)
  name                  = each.value
  storage_account_id    = azurerm_storage_account.this.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "this" {
  storage_account_id = azurerm_storage_account.this.id

  rule {
    name    = "forget-old-versions"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      version {
        delete_after_days_since_creation = 30
      }
    }
  }
}
