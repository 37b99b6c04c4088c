#!/usr/bin/env node
import { main } from '../dist/cli/main.js'

// What `run` leaves open has no business keeping the process: all that matters was waited for.
process.exit(await main(process.argv.slice(2)))
