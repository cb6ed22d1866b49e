"use strict";
// Reads the blocks of the page and shows the requests in them. Text from data and models enters the
// page as text nodes only: nothing here parses HTML.

const ROW = 34; // the height of a row in pixels, as in the style
const TALLEST = 12e6; // pixels; browsers cannot scroll over much taller elements
const LONGEST = 20000; // characters shown of a text before a button shows the rest
const LARGEST = 1e6; // pairs of tokens beyond which a difference is not aligned

const byId = (id) => document.getElementById(id);

function make(tag, options = {}, ...children) {
  const { cls, on, ...attributes } = options;
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  for (const [name, act] of Object.entries(on ?? {})) made.addEventListener(name, act);
  made.append(...children.filter((child) => child !== null));
  return made;
}
