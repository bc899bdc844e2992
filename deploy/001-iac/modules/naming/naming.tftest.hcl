# Azure refuses a name that is too long or has the wrong characters only after minutes, so it is found here.

variables {
  project         = "gaitway"
  environment     = "dev"
  instance        = 1
  subscription_id = "00000000-0000-0000-0000-000000000000"
}

run "names_are_of_the_cloud_adoption_framework" {
  assert {
    condition     = output.names.resource_group == "rg-gaitway-dev-001" && output.names.workspace == "mlw-gaitway-dev-001" && output.names.cluster == "aks-gaitway-dev-001"
    error_message = "resource group, workspace or cluster is named otherwise"
  }
  assert {
    condition     = length(distinct(values(output.names))) == length(output.names)
    error_message = "two resources have one name"
  }
}

run "globally_unique_names_differ_between_subscriptions" {
  variables {
    subscription_id = "11111111-1111-1111-1111-111111111111"
  }
  assert {
    condition     = output.names.storage_account != run.names_are_of_the_cloud_adoption_framework.names.storage_account
    error_message = "two subscriptions want one storage account"
  }
}

run "the_longest_names_still_fit" {
  variables {
    project     = "abcdefghij"
    environment = "prod"
    instance    = 999
  }
  assert {
    condition     = can(regex("^[a-z0-9]{3,24}$", output.names.storage_account))
    error_message = "a storage account has 3 to 24 lower-case letters and digits"
  }
  assert {
    condition     = can(regex("^[A-Za-z0-9]{5,50}$", output.names.container_registry))
    error_message = "a registry has 5 to 50 letters and digits"
  }
  assert {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$", output.names.key_vault))
    error_message = "a vault has 3 to 24 letters, digits and hyphens"
  }
  assert {
    condition     = length(output.names.workspace) <= 33 && length(output.names.cluster) <= 54 && length(output.names.postgresql) <= 63 && length(output.names.redis) <= 60
    error_message = "workspace (33), cluster's DNS prefix (54), PostgreSQL (63) or Redis (60) is too long"
  }
}

run "a_number_tells_two_deployments_apart" {
  variables {
    project     = "abcdefghij"
    environment = "prod"
    instance    = 998
  }
  assert {
    condition     = length(setintersection(values(output.names), values(run.the_longest_names_still_fit.names))) == 0
    error_message = "a name that is cut off loses the deployment's number"
  }
}
