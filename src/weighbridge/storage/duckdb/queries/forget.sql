DELETE FROM {table} WHERE slot < {before_slot}
