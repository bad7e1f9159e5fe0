"""Child processes in which whatever touches a foreign file is done: limited, without a network, ended with a reason."""
