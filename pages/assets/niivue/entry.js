// What the viewer needs of NiiVue: the WebGL2-only distribution. See README.md for how niivue.min.js is made from this.
export { default, DRAG_MODE } from "@niivue/niivue/webgl2";
