variable "subscription_id" {
  description = "Azure subscription that everything is made in."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", lower(var.subscription_id)))
    error_message = "subscription_id is a GUID, for example 00000000-0000-0000-0000-000000000000 (az account show --query id)."
  }
}

variable "location" {
  description = "Azure region, in its short form."
  type        = string
  default     = "westus3"
  validation {
    condition     = contains(local.regions, var.location) || var.any_location
    error_message = "location is not a region that is known here, in its short form such as westus3 or swedencentral. Is it a new one (az account list-locations -o table), set any_location = true."
  }
}

variable "any_location" {
  description = "Take location as it is, for a region that is newer than the list in regions.tf."
  type        = bool
  default     = false
}

variable "project" {
  description = "Short name that every resource's name is made of."
  type        = string
  default     = "gaitway"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.project))
    error_message = "project is 2 to 10 lower-case letters and digits and starts with a letter."
  }
}

variable "environment" {
  description = "Stage, part of every name."
  type        = string
  default     = "dev"
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,3}$", var.environment))
    error_message = "environment is 2 to 4 lower-case letters and digits, for example dev, test, prod."
  }
}

variable "instance" {
  description = "Number of this deployment, so that several can stand beside each other."
  type        = number
  default     = 1
  validation {
    condition     = var.instance >= 1 && var.instance <= 999 && floor(var.instance) == var.instance
    error_message = "instance is a whole number from 1 to 999."
  }
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
}

variable "private_endpoints" {
  description = "Whether storage, Key Vault, the registry, the workspace and PostgreSQL are reached only from inside the network."
  type        = bool
  default     = true
}

variable "allowed_ip_ranges" {
  description = "Public addresses (CIDR) that may reach the cluster's API server and, without private endpoints, the data services."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for range in var.allowed_ip_ranges : can(cidrnetmask(range))])
    error_message = "allowed_ip_ranges are IPv4 ranges in CIDR form, for example 203.0.113.0/24."
  }
  validation {
    condition     = alltrue([for range in var.allowed_ip_ranges : !endswith(range, "/0")])
    error_message = "allowed_ip_ranges must not be the whole Internet."
  }
}

variable "admin_principal_ids" {
  description = "More Entra ID objects (people, groups, pipelines) that may set up the cluster and read OSMO's passwords, by a name of yours. Whoever runs Terraform may anyway."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for id in values(var.admin_principal_ids) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", lower(id)))])
    error_message = "admin_principal_ids are object IDs, GUIDs such as az ad signed-in-user show --query id prints."
  }
}

variable "address_space" {
  description = "Address range of the virtual network, a /16 to /20."
  type        = string
  default     = "10.42.0.0/16"
  validation {
    condition     = can(cidrnetmask(var.address_space)) && try(tonumber(split("/", var.address_space)[1]), 0) >= 16 && try(tonumber(split("/", var.address_space)[1]), 99) <= 20
    error_message = "address_space is an IPv4 range from /16 to /20, for example 10.42.0.0/16."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes release of the cluster; null takes the region's default."
  type        = string
  default     = null
  validation {
    condition     = var.kubernetes_version == null || can(regex("^1\\.[0-9]{2}(\\.[0-9]+)?$", var.kubernetes_version))
    error_message = "kubernetes_version is a release such as 1.33 or 1.33.4 (az aks get-versions --location REGION)."
  }
}

variable "system_pool" {
  description = "Node pool for everything that needs no GPU."
  type = object({
    vm_size   = optional(string, "Standard_D8ds_v5")
    min_count = optional(number, 1)
    max_count = optional(number, 3)
    zones     = optional(list(string), [])
  })
  default = {}
  validation {
    condition     = can(regex("^Standard_[A-Z]+[0-9]", var.system_pool.vm_size))
    error_message = "system_pool.vm_size is an Azure VM size such as Standard_D8ds_v5 (az vm list-skus --location REGION --size Standard_D)."
  }
  validation {
    condition     = var.system_pool.min_count >= 1 && var.system_pool.max_count >= var.system_pool.min_count
    error_message = "system_pool needs at least one node, and max_count must not be below min_count."
  }
}

variable "gpu_pools" {
  description = "GPU node pools (aks) or compute clusters (amlcompute) by name, with the GPUs of a node. They scale to zero; spot ones are evicted when Azure needs the capacity."
  type = map(object({
    vm_size   = string
    spot      = optional(bool, true)
    max_count = optional(number, 1)
    zones     = optional(list(string), [])
    gpus      = optional(number, 1)
  }))
  default = {
    gpuspot = { vm_size = "Standard_NV36ads_A10_v5" }
    gpu     = { vm_size = "Standard_NV36ads_A10_v5", spot = false }
  }
  validation {
    condition     = alltrue([for name in keys(var.gpu_pools) : can(regex("^[a-z][a-z0-9]{0,11}$", name))])
    error_message = "A pool's name is at most 12 lower-case letters and digits and starts with a letter."
  }
  validation {
    condition     = alltrue([for pool in values(var.gpu_pools) : can(regex("^Standard_N[CDV][0-9]+[a-z]*_[A-Za-z0-9_]+$", pool.vm_size))])
    error_message = "A GPU pool's vm_size is of Azure's N series, for example Standard_NV36ads_A10_v5 or Standard_NC40ads_H100_v5 (az vm list-skus --location REGION --size Standard_N)."
  }
  validation {
    condition     = alltrue([for pool in values(var.gpu_pools) : pool.max_count >= 1 && pool.max_count <= 100])
    error_message = "A GPU pool's max_count is 1 to 100."
  }
  validation {
    condition     = alltrue([for pool in values(var.gpu_pools) : contains([1, 2, 4, 8], pool.gpus)])
    error_message = "A GPU pool's gpus, the GPUs of one node, are 1, 2, 4 or 8."
  }
}

variable "compute" {
  description = "What trains: aks, a Kubernetes cluster that OSMO too can use, or amlcompute, clusters of Azure ML's own, which need no set-up beyond Terraform."
  type        = string
  default     = "aks"
  validation {
    condition     = contains(["aks", "amlcompute"], var.compute)
    error_message = "compute is aks or amlcompute."
  }
}

variable "user_principal_ids" {
  description = "Entra ID objects (people, groups) that train: they may run jobs and read and write models and files. Whoever runs Terraform may anyway."
  type        = map(string)
  default     = {}
  validation {
    condition     = alltrue([for id in values(var.user_principal_ids) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", lower(id)))])
    error_message = "user_principal_ids are object IDs, GUIDs such as az ad signed-in-user show --query id prints."
  }
}

variable "budget" {
  description = "Planned cost of the resource group in a month, in the currency of the subscription; mails go out at 80 % and 100 %. Null for none."
  type = object({
    amount         = number
    start_date     = string
    contact_emails = list(string)
  })
  default = null
  validation {
    condition     = var.budget == null ? true : var.budget.amount > 0 && length(var.budget.contact_emails) > 0 && can(regex("^20[0-9]{2}-[0-9]{2}-01T00:00:00Z$", var.budget.start_date))
    error_message = "budget has an amount above zero, at least one address, and a start_date on the first of a month such as 2027-01-01T00:00:00Z."
  }
}

variable "osmo" {
  description = "Data services of an OSMO control plane: PostgreSQL and Redis. Off when OSMO runs elsewhere."
  type = object({
    enabled        = optional(bool, true)
    postgresql_sku = optional(string, "GP_Standard_D2ds_v5")
    storage_mb     = optional(number, 32768)
    redis_sku      = optional(string, "Balanced_B1")
    namespaces = optional(object({
      control_plane = optional(string, "osmo-control-plane")
      operator      = optional(string, "osmo-operator")
      workflows     = optional(string, "osmo-workflows")
    }), {})
    geo_redundant_backup = optional(bool, true)
  })
  default = {}
  validation {
    condition     = can(regex("^(B|GP|MO)_Standard_", var.osmo.postgresql_sku))
    error_message = "osmo.postgresql_sku is a flexible-server SKU such as GP_Standard_D2ds_v5."
  }
  validation {
    condition     = contains([32768, 65536, 131072, 262144, 524288, 1048576], var.osmo.storage_mb)
    error_message = "osmo.storage_mb is one of 32768, 65536, 131072, 262144, 524288, 1048576."
  }
  validation {
    condition     = can(regex("^(Balanced|ComputeOptimized|MemoryOptimized)_[A-Z][0-9]+$", var.osmo.redis_sku))
    error_message = "osmo.redis_sku is a managed Redis SKU such as Balanced_B1."
  }
}
