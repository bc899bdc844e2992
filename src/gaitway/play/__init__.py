"""Drive page: one offline HTML file in which MuJoCo steps a task's robot and a person drives its policy."""
