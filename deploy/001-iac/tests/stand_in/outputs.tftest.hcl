# The shape of the outputs, which gaitway's settings and 002-setup read by these very paths.

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
}

run "the_whole_deployment" {
  assert {
    condition     = output.resource_group.name == "rg-gaitway-dev-001" && output.azureml_workspace.name == "mlw-gaitway-dev-001" && output.subscription_id == var.subscription_id
    error_message = "gaitway fills its Azure settings from these"
  }
  assert {
    condition     = startswith(output.aks_cluster.id, "/subscriptions/") && output.aks_cluster.name != ""
    error_message = "Azure ML attaches the cluster by its id, and its compute is named after it"
  }
  assert {
    condition     = output.gpu_pools["gpuspot"].spot && !output.gpu_pools["gpu"].spot && output.gpu_pools["gpu"].labels["gaitway/pool"] == "gpu" && length(output.gpu_pools["gpuspot"].taints) == 2
    error_message = "instance types and OSMO platforms are made from the pools"
  }
  assert {
    condition     = alltrue([for identity in [output.ml_workload_identity, output.osmo_workload_identity] : alltrue([identity.id != "", identity.client_id != "", identity.principal_id != ""])])
    error_message = "an identity is named by id, client and principal"
  }
  assert {
    condition     = output.postgresql_connection_info.password_secret != "" && !can(output.postgresql_connection_info.password) && !can(output.managed_redis_connection_info.password)
    error_message = "a password is named by its secret and never an output"
  }
  assert {
    condition     = keys(output.osmo_namespaces) == ["control_plane", "operator", "workflows"]
    error_message = "002-setup makes these namespaces"
  }
}

run "clusters_of_azure_ml_in_place_of_kubernetes" {
  variables {
    compute = "amlcompute"
  }
  assert {
    condition     = output.aks_cluster == null && output.gpu_pools == null && output.postgresql_connection_info == null
    error_message = "without Kubernetes there is no cluster to set up, and no OSMO"
  }
  assert {
    condition     = output.compute_clusters["gpuspot"].spot && !output.compute_clusters["gpu"].spot && output.default_compute == "gpuspot"
    error_message = "each pool is a compute cluster; jobs go to a low-priority one by default"
  }
}

run "azure_ml_alone" {
  variables {
    osmo = { enabled = false }
  }
  assert {
    condition     = output.postgresql_connection_info == null && output.managed_redis_connection_info == null
    error_message = "without OSMO there is no database"
  }
}
