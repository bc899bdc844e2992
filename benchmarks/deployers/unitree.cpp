// Runs the policy environment of Unitree's C++ deployers on recorded sensors, without a robot.
//
//     unitree FOLDER SENSORS TARGETS MOTORS
//
// FOLDER is what `policy_dir` names. SENSORS holds a row of float32 a control step: gyroscope (3), orientation w x y z (4),
// commanded vx, vy, wz (3), motor positions and velocities in the SDK's order. TARGETS gets a row of motor targets a step.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "isaaclab/envs/manager_based_rl_env.h"
#include OBSERVATIONS
#include "isaaclab/envs/mdp/actions/joint_actions.h"

constexpr int kMotorsAt = 10;

// What the deployer reads of a robot, from one row.
struct Recorded : isaaclab::Articulation {
  unitree::common::UnitreeJoystick stick;
  const float* row = nullptr;
  int motors;

  explicit Recorded(int count) : motors(count) { data.joystick = &stick; }

  void update() override {
    for (int axis = 0; axis < 3; ++axis) data.root_ang_vel_b[axis] = row[axis];
    const Eigen::Quaternionf orientation(row[3], row[4], row[5], row[6]);
    data.projected_gravity_b = orientation.conjugate() * data.GRAVITY_VEC_W;
    for (std::size_t joint = 0; joint < data.joint_ids_map.size(); ++joint) {
      const int motor = static_cast<int>(data.joint_ids_map[joint]);
      data.joint_pos[joint] = row[kMotorsAt + motor];
      data.joint_vel[joint] = row[kMotorsAt + motors + motor];
    }
    stick.ly.value = row[7];
    stick.lx.value = -row[8];
    stick.rx.value = -row[9];
  }
};

int main(int count, char** arguments) {
  if (count != 5) return 2;
  const std::filesystem::path folder = arguments[1];
  const int motors = std::stoi(arguments[4]), width = kMotorsAt + 2 * motors;
  std::ifstream sensors(arguments[2], std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(sensors)), {});
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), bytes.size());
  auto robot = std::make_shared<Recorded>(motors);
  robot->row = rows.data();
  try {
    isaaclab::ManagerBasedRLEnv env(YAML::LoadFile((folder / "params" / "deploy.yaml").string()), robot);
    env.alg = std::make_unique<isaaclab::OrtRunner>((folder / "exported" / "policy.onnx").string());
    env.reset();
    std::ofstream targets(arguments[3], std::ios::binary);
    for (std::size_t step = 0; step < rows.size() / width; ++step) {
      robot->row = rows.data() + step * width;
      env.step();
      const auto actions = env.action_manager->processed_actions();
      std::vector<float> out(motors, 0.0f);
      for (std::size_t joint = 0; joint < robot->data.joint_ids_map.size(); ++joint)
        out[static_cast<int>(robot->data.joint_ids_map[joint])] = actions[joint];
      targets.write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size() * sizeof(float)));
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
