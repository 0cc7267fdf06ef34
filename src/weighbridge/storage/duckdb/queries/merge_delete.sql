DELETE FROM {table} WHERE slot >= {lo} AND slot < {hi} AND series >= {first_series} AND series <= {last_series}
