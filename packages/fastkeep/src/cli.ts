#!/usr/bin/env node
import { main } from './main.js'
import { terminalOf } from './terminal.js'

const code = await main(process.argv.slice(2), terminalOf(process.stdout, process.stderr, process.env))
// What a pipe has not taken yet, the exit would drop.
for (const stream of [process.stdout, process.stderr]) await new Promise(resolve => stream.write('', resolve))
process.exit(code)
