# What variables.tf refuses, and that it says so of the right variable.

variables {
  subscription_id = "00000000-0000-0000-0000-000000000000"
}

run "the_example_and_the_defaults_are_accepted" {
  command = plan
}

run "a_subscription_that_is_no_guid" {
  command = plan
  variables { subscription_id = "my-subscription" }
  expect_failures = [var.subscription_id]
}

run "a_region_by_its_display_name" {
  command = plan
  variables { location = "West US 3" }
  expect_failures = [var.location]
}

run "a_region_that_there_is_not" {
  command = plan
  variables { location = "westus33" }
  expect_failures = [var.location]
}

run "a_region_that_is_newer_than_the_list" {
  command = plan
  variables {
    location     = "marsnorth1"
    any_location = true
  }
}

run "a_project_that_would_not_fit_a_storage_account" {
  command = plan
  variables { project = "my-long-project" }
  expect_failures = [var.project]
}

run "an_environment_that_is_too_long" {
  command = plan
  variables { environment = "production" }
  expect_failures = [var.environment]
}

run "an_instance_that_is_no_whole_number" {
  command = plan
  variables { instance = 1.5 }
  expect_failures = [var.instance]
}

run "a_range_that_is_the_whole_internet" {
  command = plan
  variables { allowed_ip_ranges = ["0.0.0.0/0"] }
  expect_failures = [var.allowed_ip_ranges]
}

run "a_range_that_is_none" {
  command = plan
  variables { allowed_ip_ranges = ["203.0.113.7"] }
  expect_failures = [var.allowed_ip_ranges]
}

run "an_administrator_by_mail_address" {
  command = plan
  variables { admin_principal_ids = { me = "me@example.com" } }
  expect_failures = [var.admin_principal_ids]
}

run "a_network_that_is_too_small" {
  command = plan
  variables { address_space = "10.0.0.0/24" }
  expect_failures = [var.address_space]
}

run "a_kubernetes_release_of_another_form" {
  command = plan
  variables { kubernetes_version = "latest" }
  expect_failures = [var.kubernetes_version]
}

run "a_system_pool_with_no_nodes" {
  command = plan
  variables { system_pool = { min_count = 0 } }
  expect_failures = [var.system_pool]
}

run "a_pool_without_gpus" {
  command = plan
  variables { gpu_pools = { gpu = { vm_size = "Standard_D8ds_v5" } } }
  expect_failures = [var.gpu_pools]
}

run "a_gpu_size_that_is_cut_off" {
  command = plan
  variables { gpu_pools = { gpu = { vm_size = "Standard_NV" } } }
  expect_failures = [var.gpu_pools]
}

run "a_pool_name_that_kubernetes_refuses" {
  command = plan
  variables { gpu_pools = { gpu-spot = { vm_size = "Standard_NV36ads_A10_v5" } } }
  expect_failures = [var.gpu_pools]
}

run "a_pool_that_may_have_no_nodes" {
  command = plan
  variables { gpu_pools = { gpu = { vm_size = "Standard_NV36ads_A10_v5", max_count = 0 } } }
  expect_failures = [var.gpu_pools]
}

run "a_compute_of_another_kind" {
  command = plan
  variables { compute = "batch" }
  expect_failures = [var.compute]
}

run "a_user_by_mail_address" {
  command = plan
  variables { user_principal_ids = { me = "me@example.com" } }
  expect_failures = [var.user_principal_ids]
}

run "a_budget_that_starts_in_the_middle_of_a_month" {
  command = plan
  variables { budget = { amount = 100, start_date = "2027-01-15T00:00:00Z", contact_emails = ["me@example.com"] } }
  expect_failures = [var.budget]
}

run "a_node_with_three_gpus" {
  command = plan
  variables { gpu_pools = { gpu = { vm_size = "Standard_NV36ads_A10_v5", gpus = 3 } } }
  expect_failures = [var.gpu_pools]
}

run "a_database_sku_of_another_form" {
  command = plan
  variables { osmo = { postgresql_sku = "Standard_D2ds_v5" } }
  expect_failures = [var.osmo]
}

run "a_database_size_that_is_not_offered" {
  command = plan
  variables { osmo = { storage_mb = 40000 } }
  expect_failures = [var.osmo]
}

run "a_redis_sku_of_the_service_before" {
  command = plan
  variables { osmo = { redis_sku = "Premium_P1" } }
  expect_failures = [var.osmo]
}
