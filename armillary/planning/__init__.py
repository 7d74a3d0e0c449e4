"""Planners: actions for any world and any objective. Each file is one planner; `catalog` knows them by name."""
