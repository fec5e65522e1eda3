/** @file The comparison as a table for a terminal, Markdown, CSV (one line for each cell) or JSON. */
import { styleText } from "./terminal-style.ts";
