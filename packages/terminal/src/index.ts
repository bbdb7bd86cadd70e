export { askOnTerminal } from './ask-on-terminal.js'
