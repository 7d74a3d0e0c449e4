"""Robots: an arm with a gripper, a wheeled robot, a car."""
