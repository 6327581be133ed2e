"""What outlives the process: units of work, tables, the tenant filter, migrations, secrets at rest."""
