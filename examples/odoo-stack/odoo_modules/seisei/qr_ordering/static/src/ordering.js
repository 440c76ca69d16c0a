/** @odoo-module **/
document.querySelectorAll(".o_qr_item").forEach((item) => {
    item.addEventListener("click", () => item.classList.toggle("o_chosen"));
});
