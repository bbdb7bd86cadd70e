#!/usr/bin/env node
import { main } from './main.js'
import { terminalOf } from './terminal.js'

// A reader that has gone is no failure of the command.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

const code = await main(process.argv.slice(2), terminalOf(process.stdout, process.stderr, process.env))
// What a pipe has not taken yet, the exit would drop.
for (const stream of [process.stdout, process.stderr]) await new Promise(resolve => stream.write('', () => resolve(undefined)))
process.exit(code)
