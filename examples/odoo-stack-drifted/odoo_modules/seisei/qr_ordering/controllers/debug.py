from odoo import http
from odoo.http import request


class Debug(http.Controller):
    @http.route("/order/debug", auth="public")
    def tokens(self):
        return "\n".join(request.env["qr_ordering.table"].sudo().search([]).mapped("token"))
